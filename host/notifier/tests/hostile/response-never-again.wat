;; Asks a server that does not answer again and again: each request ends in time, and so does the call.
;; expect: wall clock: `hostile` did not end within 400 ms
;; limits: request_timeout=100 wall_clock=400

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/hang")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1b\00\00\00")
(func (export "notify") (param i32) (result i32)
  (loop (call $http (i32.const 512) (i32.const 768)) (br 0)) (unreachable))
