;; Asks a server that sends a byte now and then, without end.
;; expect: delivered
;; limits: request_timeout=200

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/slow")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1b\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  ;; `timeout`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 5)) (then (unreachable)))
  (i32.const 256))
