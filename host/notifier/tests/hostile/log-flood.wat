;; Logs 10,000 lines.
;; expect: delivered
;; limits: cpu=2000
;; log: 50

(data (i32.const 512) "guest says")
(global $n (mut i32) (i32.const 10000))
(func (export "notify") (param i32) (result i32)
  (loop
    (call $log (i32.const 2) (i32.const 512) (i32.const 10))
    (global.set $n (i32.sub (global.get $n) (i32.const 1)))
    (br_if 0 (global.get $n)))
  (i32.const 256))
