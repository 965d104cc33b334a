;; Wants a signature by a secret that it was not given.
;; expect: delivered
;; seen: that is no reference to a secret

(data (i32.const 512) "bot_token")
;; The key is one piece, a reference, and the message one of bytes.
(data (i32.const 600) "\01\00\00\00\00\02\00\00\09\00\00\00")
(data (i32.const 640) "\00\00\00\00\10\00\00\00\07\00\00\00")
(func (export "notify") (param i32) (result i32)
  (call $sign (i32.const 1) (i32.const 600) (i32.const 1) (i32.const 640) (i32.const 1) (i32.const 768))
  (if (i32.ne (i32.load8_u (i32.const 768)) (i32.const 1)) (then (unreachable)))
  (call $log (i32.const 2) (i32.load (i32.const 772)) (i32.load (i32.const 776)))
  (i32.const 256))
