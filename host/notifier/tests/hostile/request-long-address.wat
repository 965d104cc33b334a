;; Sends to an address of 100 KB.
;; expect: delivered
;; seen: the address is longer than 16384 bytes

;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\17\00\00\00")
(data (i32.const 520) "\a0\86\01\00")
(func (export "notify") (param i32) (result i32)
  (memory.fill (i32.const 1047) (i32.const 0x78) (i32.const 100000))
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 776)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 780)) (i32.load (i32.const 784)))
  (i32.const 256))
