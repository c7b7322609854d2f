import Extraction

func CSVConnector(folder: String) -> any SourceConnector { SQLiteConnector(path: folder) }
