;; Sends to where nobody lets it, and says so.
;; expect: egress denied: `hostile` may not send to `https://evil.example`: nobody granted it

(data (i32.const 1024) "https://evil.example/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\15\00\00\00")
;; Its answer is the error `permanent` with the text `hostile`.
(data (i32.const 256) "\01\00\00\00\00\00\00\00\05\00\00\00\00\00\00\00\10\00\00\00\07\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
