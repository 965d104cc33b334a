;; Sends to an address that is no UTF-8.
;; expect: trap: the plugin `hostile` crashed: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 512) "\00\00\00\00\00\04\00\00\02\00\00\00")
(data (i32.const 1024) "\c3\28")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
