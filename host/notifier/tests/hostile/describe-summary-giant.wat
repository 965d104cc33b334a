;; Says what it is in 100 MB.
;; expect: limit: the plugin `hostile` went over its limit of 8192 KiB handed over at once
;; call: describe
;; limits: memory=128000000

(memory (export "memory") 1600)
(data (i32.const 80) "\00\02\00\00\00\e1\f5\05")
