;; Copies from behind its memory.
;; expect: trap: the plugin `hostile` crashed: wasm trap: out of bounds memory access

(func (export "notify") (param i32) (result i32)
  (memory.copy (i32.const 0) (i32.const 0) (i32.const -1))
  (i32.const 256))
