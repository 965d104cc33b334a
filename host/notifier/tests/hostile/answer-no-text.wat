;; Answers with an id that is no UTF-8.
;; expect: trap: the plugin `hostile` crashed: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 400) "\c3\28")
(data (i32.const 264) "\01\00\00\00\90\01\00\00\02\00\00\00")
