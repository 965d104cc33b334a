;; Sends by a method that there is not.
;; expect: bad return: the plugin `hostile` handed over what can't be read: unexpected discriminant: 99

(data (i32.const 512) "\63")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
