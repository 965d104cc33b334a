;; Sends by a method that there is not.
;; expect: trap: the plugin `hostile` crashed: unexpected discriminant: 99

(data (i32.const 512) "\63")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
