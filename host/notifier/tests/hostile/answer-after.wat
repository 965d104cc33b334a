;; Wants no other try for 584 million years.
;; expect: rate limited: `hostile` was told to slow down: hostile

(data (i32.const 256) "\01\00\00\00\00\00\00\00\03\00\00\00\00\00\00\00\10\00\00\00\07\00\00\00\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff")
