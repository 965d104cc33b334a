;; Answers with an id of 9 MiB.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once

(memory (export "memory") 160)
(data (i32.const 264) "\01\00\00\00\00\02\00\00\00\00\90\00")
