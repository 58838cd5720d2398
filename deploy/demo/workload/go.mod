module container-personality/workload

go 1.25.0
