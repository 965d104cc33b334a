;; Has a million settings.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once
;; call: describe
;; limits: memory=128000000

(memory (export "memory") 1024)
(data (i32.const 88) "\00\02\00\00\40\42\0f\00")
