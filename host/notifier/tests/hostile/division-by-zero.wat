;; Divides by zero.
;; expect: trap: the plugin `hostile` crashed: wasm trap: integer divide by zero

(func (export "notify") (param i32) (result i32)
  (i32.div_u (i32.const 1) (i32.const 0)))
