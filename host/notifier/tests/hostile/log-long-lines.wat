;; Logs 30 lines of 100 KB.
;; expect: delivered
;; limits: cpu=5000
;; log: 30
;; seen: xxxxxxxxxxxxxxxxxxxx…

(global $n (mut i32) (i32.const 30))
(data (i32.const 60000) "guest says")
(func (export "notify") (param i32) (result i32)
  (memory.fill (i32.const 60010) (i32.const 0x78) (i32.const 100000))
  (loop
    (call $log (i32.const 2) (i32.const 60000) (i32.const 100000))
    (global.set $n (i32.sub (global.get $n) (i32.const 1)))
    (br_if 0 (global.get $n)))
  (i32.const 256))
