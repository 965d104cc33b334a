;; Answers with an id that is no UTF-8.
;; expect: bad return: the plugin `hostile` handed over what can't be read: invalid utf-8 sequence of 1 bytes from index 0

(data (i32.const 400) "\c3\28")
(data (i32.const 264) "\01\00\00\00\90\01\00\00\02\00\00\00")
