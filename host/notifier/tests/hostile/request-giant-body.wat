;; Sends a body of 1 MB.
;; expect: delivered
;; seen: a body of 1000000 bytes is over the limit of 262144

(memory (export "memory") 32)
;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\17\00\00\00")
;; With a body of a million bytes.
(data (i32.const 560) "\01\00\00\00\00\10\00\00\40\42\0f\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
