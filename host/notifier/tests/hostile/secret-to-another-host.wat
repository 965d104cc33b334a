;; Puts a secret that is for the path of another host into that of this one, to which it may send.
;; expect: delivered
;; settings: key=s3cret-canary
;; seen: the secret `key` must not be used in the path, but in the path, to https://api.example

(data (i32.const 400) "key")
(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
(data (i32.const 552) "\bc\02\00\00\01\00\00\00")
;; It asks for one host; the secret is for its path.
(data (i32.const 96) "\48\03\00\00\01\00\00\00")
(data (i32.const 840) "\10\03\00\00\13\00\00\00")
(data (i32.const 784) "https://api.example")
(data (i32.const 700) "\01\00\00\00\10\03\00\00\13\00\00\00")
;; GET of that address, with the reference behind it; the answer goes to 768, where 1 and 1 are an error and `invalid`.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 600) "\00\00\00\00\00\04\00\00\3d\00\00\00")
(func (export "notify") (param i32) (result i32)
  (memory.copy (i32.const 1047) (i32.load offset=16 (i32.load (local.get 0))) (i32.const 38))
  (call $http (i32.const 600) (i32.const 768))
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
