;; Wants the channel to pause for 584 million years.
;; expect: delivered, pause of 3600 s

(data (i32.const 296) "\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\ff")
