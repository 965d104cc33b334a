;; Logs at a level that there is not.
;; expect: bad return: the plugin `hostile` handed over what can't be read: unexpected discriminant: 99

(func (export "notify") (param i32) (result i32)
  (call $log (i32.const 99) (i32.const 16) (i32.const 7))
  (i32.const 256))
