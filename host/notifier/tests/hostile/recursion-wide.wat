;; Fills the stack with few, large frames.
;; expect: trap: the plugin `hostile` crashed: wasm trap: call stack exhausted

(func $notify (export "notify") (param i32) (result i32)
  (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
  (i32.add (call $notify (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
