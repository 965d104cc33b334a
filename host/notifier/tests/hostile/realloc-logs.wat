;; Calls the host while the host is about to hand over.
;; expect: trap: the plugin `hostile` crashed: wasm trap: cannot leave component instance

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (call $log (i32.const 1) (i32.const 16) (i32.const 7))
  (i32.const 4096))
