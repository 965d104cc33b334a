;; Divides the smallest number by minus one.
;; expect: trap: the plugin `hostile` crashed: wasm trap: integer overflow

(func (export "notify") (param i32) (result i32)
  (i32.div_s (i32.const 0x80000000) (i32.const -1)))
