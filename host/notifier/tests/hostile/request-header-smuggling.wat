;; Sends a header whose value goes on in a second line.
;; expect: delivered
;; seen: the header `x` has a value that can't be sent

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\17\00\00\00")
;; One header.
(data (i32.const 532) "\80\03\00\00\01\00\00\00")
(data (i32.const 896) "\90\03\00\00\01\00\00\00\91\03\00\00\0e\00\00\00")
(data (i32.const 912) "x1\0d\0aHost: evil!")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
