;; Logs what is no UTF-8.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 512) "\ff\fe")
(func (export "notify") (param i32) (result i32)
  (call $log (i32.const 1) (i32.const 512) (i32.const 2))
  (i32.const 256))
