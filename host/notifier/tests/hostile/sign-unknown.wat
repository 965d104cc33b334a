;; Wants a signature by a secret that it was not given.
;; expect: delivered
;; seen: that is no reference to a secret

(data (i32.const 512) "bot_token")
(func (export "notify") (param i32) (result i32)
  (call $sign (i32.const 512) (i32.const 9) (i32.const 16) (i32.const 7) (i32.const 768))
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 772)) (i32.load (i32.const 776)))
  (i32.const 256))
