;; Wants a signature over 9 MiB.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once

(memory (export "memory") 160)
;; The key is one piece, a reference, and the message one of bytes.
(data (i32.const 600) "\01\00\00\00\00\02\00\00\09\00\00\00")
(data (i32.const 640) "\00\00\00\00\00\00\00\00\00\00\90\00")
(func (export "notify") (param i32) (result i32)
  (call $sign (i32.const 1) (i32.const 600) (i32.const 1) (i32.const 640) (i32.const 1) (i32.const 768))
  (i32.const 256))
