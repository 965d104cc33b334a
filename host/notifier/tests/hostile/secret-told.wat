;; Logs the secret that it was given 3 times: it is a reference, and not even that is shown.
;; expect: delivered
;; settings: key=s3cret-canary
;; log: 1
;; seen: guest says •••

(data (i32.const 400) "key")
(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\90\01\00\00\03\00\00\00\01")
;; To sign with.
(data (i32.const 552) "\bc\02\00\00\01\00\00\00")
(data (i32.const 700) "\05")
(data (i32.const 600) "guest says ")
(func (export "notify") (param i32) (result i32)
  (memory.copy (i32.const 611) (i32.load offset=16 (i32.load (local.get 0))) (i32.load offset=20 (i32.load (local.get 0))))
  (call $log (i32.const 2) (i32.const 600) (i32.add (i32.const 11) (i32.load offset=20 (i32.load (local.get 0)))))
  (i32.const 256))
