;; Fills the stack before it is there.
;; expect: trap: the plugin `hostile` crashed: wasm trap: call stack exhausted

(func $start (call $start))
(start $start)
