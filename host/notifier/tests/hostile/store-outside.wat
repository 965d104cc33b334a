;; Writes behind its memory, by the farthest offset that there is.
;; expect: trap: the plugin `hostile` crashed: wasm trap: out of bounds memory access

(func (export "notify") (param i32) (result i32)
  (i64.store offset=0xffffffff (i32.const -1) (i64.const 0x4141414141414141))
  (i32.const 256))
