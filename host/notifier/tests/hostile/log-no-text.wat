;; Logs what is no UTF-8.
;; expect: trap: the plugin `hostile` crashed: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 512) "\ff\fe")
(func (export "notify") (param i32) (result i32)
  (call $log (i32.const 1) (i32.const 512) (i32.const 2))
  (i32.const 256))
