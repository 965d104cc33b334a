;; Answers with an id that would clear the screen.
;; expect: delivered, remote id ` [2J 1  2`

(data (i32.const 400) "\1b[2J\0a1\e2\80\ae\002")
(data (i32.const 264) "\01\00\00\00\90\01\00\00\0b\00\00\00")
