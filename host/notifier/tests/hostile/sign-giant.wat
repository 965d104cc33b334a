;; Wants a signature over 9 MiB.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once

(memory (export "memory") 160)
(func (export "notify") (param i32) (result i32)
  (call $sign (i32.const 512) (i32.const 9) (i32.const 0) (i32.const 9437184) (i32.const 768))
  (i32.const 256))
