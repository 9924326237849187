cn
