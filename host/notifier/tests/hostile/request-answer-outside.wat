;; Has no place for the answer.
;; expect: bad return: the plugin `hostile` handed over what can't be read: pointer out of bounds

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/good")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1b\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 262136))
  (i32.const 256))
