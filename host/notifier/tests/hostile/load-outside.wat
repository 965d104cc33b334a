;; Reads behind its memory.
;; expect: trap: the plugin `hostile` crashed: wasm trap: out of bounds memory access

(func (export "notify") (param i32) (result i32)
  (i32.load (i32.const -8)))
