;; Sends 40,000 headers, more than the host's map of headers can hold.
;; expect: delivered
;; seen: more than 64 headers
;; limits: cpu=1000

(memory (export "memory") 32)
;; GET of that address; the answer goes to 768.
(data (i32.const 1024) "http://127.0.0.1:PPPPP/")
(data (i32.const 512) "\00\00\00\00\00\04\00\00\17\00\00\00")
;; 40,000 headers, filled in below: all are `x: x`.
(data (i32.const 524) "\00\00\00\00\00\00\00\00\00\00\08\00\40\9c\00\00")
(data (i32.const 912) "x")
(global $at (mut i32) (i32.const 524288))
(func (export "notify") (param i32) (result i32)
  (loop
    (i64.store (global.get $at) (i64.const 0x100000390))
    (i64.store offset=8 (global.get $at) (i64.const 0x100000390))
    (global.set $at (i32.add (global.get $at) (i32.const 16)))
    (br_if 0 (i32.lt_u (global.get $at) (i32.const 1164288))))
  (call $http (i32.const 512) (i32.const 768))
  ;; `invalid`, or it crashes.
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (if (i32.ne (i32.load8_u (i32.const 772)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 776)) (i32.load (i32.const 780)))
  (i32.const 256))
