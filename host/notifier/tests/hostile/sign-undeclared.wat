;; Wants a signature by a secret that is an address.
;; expect: delivered
;; settings: key=https://hooks.example/s3cret-canary
;; seen: the secret `key` must not be used in a signature, but as the address that requests go to

(data (i32.const 400) "key")
(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
(data (i32.const 552) "\bc\02\00\00\01\00\00\00")
(data (i32.const 700) "\00")
;; The key is one piece, a reference, and the message one of bytes.
(data (i32.const 600) "\01\00\00\00\00\02\00\00\26\00\00\00")
(data (i32.const 640) "\00\00\00\00\10\00\00\00\07\00\00\00")
(func (export "notify") (param i32) (result i32)
  (i32.store (i32.const 604) (i32.load offset=16 (i32.load (local.get 0))))
  (call $sign (i32.const 1) (i32.const 600) (i32.const 1) (i32.const 640) (i32.const 1) (i32.const 768))
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 772)) (i32.load (i32.const 776)))
  (i32.const 256))
