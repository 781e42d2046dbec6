module loadtest.invalid/goclient

go 1.21
