;; Asks a server that does not answer, for longer than a call may take.
;; expect: wall clock: `hostile` did not end within 200 ms
;; limits: wall_clock=200

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/hang")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\1b\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $http (i32.const 512) (i32.const 768))
  (i32.const 256))
