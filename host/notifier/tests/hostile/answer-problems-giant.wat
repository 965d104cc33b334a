;; Complains of a million settings.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once
;; call: validate
;; limits: memory=64000000

(memory (export "memory") 512)
(data (i32.const 512) "\00\04\00\00\40\42\0f\00")
(func (export "validate") (param i32 i32) (result i32)
  (i32.const 512))
