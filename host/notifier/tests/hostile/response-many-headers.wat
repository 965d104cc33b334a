;; Asks a server that answers with 1,000 headers.
;; expect: delivered
;; seen: the exchange broke: message head is too large

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/many-headers")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\23\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 6)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
