;; Calls itself until the stack is full.
;; expect: trap: the plugin `hostile` crashed: wasm trap: call stack exhausted

(func $notify (export "notify") (param i32) (result i32)
  (call $notify (local.get 0)))
