;; Sends to an address that is no UTF-8.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 512) "\00\00\00\00\00\04\00\00\02\00\00\00")
(data (i32.const 1024) "\c3\28")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
