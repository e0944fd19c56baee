package peers

var agentServerDifferences = []difference{}

var openHandsDifferences = []difference{}
