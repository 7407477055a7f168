def test_up(cluster):
    print(cluster.api.client.get("/version").text)
    cluster.compact()
    assert cluster.requests_of("python-httpx")
