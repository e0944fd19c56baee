package admin

// TakeFor is [Take] with other times.
var TakeFor = take
