/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIGN_VECTORS_H
#define TESTS_SIGN_VECTORS_H

/* Requests signed by the vendor's Python SDK core 3.1.219 (Apache-2.0), as they go over the wire, X-Sdk-Date
 * 20240229T235959Z. headers: one per line. */
static const struct vector {
	const char *secret, *method, *path, *query, *body, *headers, *authorization;
} vectors[] = {
	{.secret = "/10%//%@Y1Y+@acZb_a9%@#@$Y!XbY%0",
	 .method = "DELETE",
	 .path = "/%22%E6%BC%A2@]%7B/,%C3%A4+%7C%C3%B6]",
	 .query = "-z%C3%BC%E2%82%AC=&%3B=%26%7C&b%3A=825484000&%C3%B6%3D%5C%3B=z%40a&%E5%AD%97=-Z&%E5%AD"
		"%97=Z%5D&%E5%AD%97=%E6%BC%A2%5E0",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com",
	 .authorization = "SDK-HMAC-SHA256 Access=87E1958C9A5, SignedHeaders=host;x-sdk-date, Signature=6"
		"afba08871e0ece1d7d9fb57120224db1df4c340269e12dc4cea1d645ad7fd5a"},
	{.secret = "1-Z#XX--1$Zc-0$91Xb+0-Z9-c!Y#_+9$",
	 .method = "GET",
	 .path = "/]:]%C3%A4]/x/",
	 .query = "",
	 .body = "",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012ba_u:=;=c ,=\303\244=\012YbX_"
		"u:ac\012X_u:",
	 .authorization = "SDK-HMAC-SHA256 Access=0F1F019IJ2DA8EJ6H, SignedHeaders=host;x-sdk-date, Signa"
		"ture=c6b53d375d9ddd690b50789ad21c787a0a82b24640dcf931ca9308b9cbaad0af"},
	{.secret = "/a@cZb!$/@b#b!%-##$a10/9",
	 .method = "GET",
	 .path = "/x/%22'%22_b&/%5C)/x/a%2Fb%20c%C3%A4/",
	 .query = "-=%3A%C3%B6%400z%C3%A4%7B&9%5C=%5C&%3D=&%5C=true&%5E=9%F0%9F%98%80%2C%20&%5E=z%7D0&%F0"
		"%9F%98%809%26%C3%A4=%C3%B6",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012Z:ac\012X_u:;"
		"\303\244\303\266;\303\266=;\012YYZ_u:;b;\012Zbb-Id:,b;bba,,=,\012Content-Type:application/json",
	 .authorization = "SDK-HMAC-SHA256 Access=0F0C1228J1IG03D, SignedHeaders=content-type;host;x-sdk-"
		"date;z;zbb-id, Signature=cdc04ec53d37bbd14902f2dd61c8fe77a16ee8ac44a55bc774858df2cd933e4e"},
	{.secret = "#@%c0%@Y/-X9c#X$+9X+!!$_9X-/+X%+!b_ZY",
	 .method = "HEAD",
	 .path = "/%E5%AD%97%3E/a%2Fb%20c%C3%A4",
	 .query = "%E5%AD%97%E5%AD%97%C3%BC=595844921",
	 .body = "",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012ZXc:b,,\303\244baab==\012X_u:"
		"\303\244; b\012Content-Type:application/json;charset=utf-8",
	 .authorization = "SDK-HMAC-SHA256 Access=CCDCIJB1480AA0, SignedHeaders=content-type;host;x-sdk-d"
		"ate;zxc, Signature=9fb55890297f48b101c07561932978156129df0a33091bd61aaa6d0b2e79a47e"},
	{.secret = "YY$cba!1+c%/a---!Ycbc-0c0#1%-Xb#c0",
	 .method = "PATCH",
	 .path = "/%60%5EZ",
	 .query = "-%C3%BC=&-%C3%BC=%20Ab&-%C3%BC=%3C%26%5D&-%C3%BC=A%28%5Bz%5B&%3C%7D%24=%27a%2A%29%24.&"
		"%40b%3E%3E=%3C%20%3Ez%29%24&%7C%21~%2A=&%C3%B6%5B=%E6%BC%A2b",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012b:\012Y:,cb\303\266a"
		"\303\266\012a_u:\303\244\303\244,\303\244,c=\303\244 \303\266\303\266\303\266\012Content-Type:t"
		"ext/plain\012X-Sdk-Content-Sha256:UNSIGNED-PAYLOAD",
	 .authorization = "SDK-HMAC-SHA256 Access=64GG6GB64D, SignedHeaders=b;content-type;host;x-sdk-con"
		"tent-sha256;x-sdk-date;y, Signature=fcad8103cc63211fd40a7522f0fc3f157378d492ec543eb92b474fe5c26"
		"34c7e"},
	{.secret = "!ac0@X-_X$c01bYYaX1_01/+#+-/0$ZcbXaX0",
	 .method = "put",
	 .path = "/x/a%2Fb%20c%C3%A4/",
	 .query = "%28%2B=&%3A=%2C%2A-%7Ca%3E%40&%3D=true&%5B%C3%BC%F0%9F%98%80=835167480&%60Z=%22%E5%AD%"
		"97Z%C3%BC%7D&%E5%AD%97=817548677",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012bc:;,a\012aca:cc,=;\303\266c;,;,",
	 .authorization = "SDK-HMAC-SHA256 Access=25BEFA4CD0H9B9B44, SignedHeaders=aca;bc;host;x-sdk-date"
		", Signature=ed354767d1df333f82987bf4343a7c3a8e9991418451b04bf646dea4cf9aee73"},
	{.secret = "9#-b/X$_91%#9-ba",
	 .method = "POST",
	 .path = "/x/%09~%C3%A4(_/]%7B=%5C_/a%2Fb%20c%C3%A4/",
	 .query = "",
	 .body = "",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012a_u:,,==;\303\266=b"
		"\303\244\012cX-Id:=a\012Y-Id:\303\244,\303\244=\012Content-Type:application/json",
	 .authorization = "SDK-HMAC-SHA256 Access=6AAE6E7AFBAG4117B5FH, SignedHeaders=content-type;cx-id;"
		"host;x-sdk-date;y-id, Signature=568394a0fd1493ef7d6ad1db35167e75a8a0a1cda84e733936b691162a4e74d9"},
	{.secret = "YZ$@aY@bZZ_0YYb+Y/0@X#@Za",
	 .method = "DELETE",
	 .path = "/x/-/a%2Fb%20c%C3%A4/",
	 .query = "%21=&.%5E%28=",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012XXY_u:,a\303\266, \303\266=,"
		"\012bY-Id:,b=,\012Content-Type:application/json",
	 .authorization = "SDK-HMAC-SHA256 Access=6DDAJC3I54IJ77BFH5F, SignedHeaders=by-id;content-type;h"
		"ost;x-sdk-date, Signature=2b1a429f4f6e320301acfdbc0821cb689a2b7f3ecc7a5cf5fa3a0c98542ff56f"},
	{.secret = "0b/%X#@/!a_!+!@$!X%Y-1a!caYc0-#_0aa/-/$!0$-X+@1%",
	 .method = "PATCH",
	 .path = "/:%5C/a%2Fb%20c%C3%A4",
	 .query = "%22=&%2Ca%60=%22%C3%B6%E6%BC%A2%F0%9F%98%80%40&%2Ca%60=%3A9%E6%BC%A2&%2Ca%60=_%2C&%2Ca"
		"%60=%7B&Z=941851145&Za%26=979971445",
	 .body = "{\"n\":\"\303\244\346\274\242\"}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012Y_u:a\303\266;c\303\266c;a ="
		"\012YX-Id:abc\012Yb_u:,=cc\303\244\012Content-Type:multipart/form-data\012X-Sdk-Content-Sha256:"
		"UNSIGNED-PAYLOAD",
	 .authorization = "SDK-HMAC-SHA256 Access=F96649BC3379JBH22GC1, SignedHeaders=content-type;host;x"
		"-sdk-content-sha256;x-sdk-date;yx-id, Signature=e30ad5e6d08e00d7d8edea43f9c184fed705ae5e993591c"
		"9f12b259bfe1d7301"},
	{.secret = "bc/$%aZ9+#%1@+%!@%ZX#-Y-X!+Y_%/Y$!%b!0c",
	 .method = "HEAD",
	 .path = "/@%C3%B6%09:/&]%E5%AD%97:/x/%09%5C+/a%2Fb%20c%C3%A4",
	 .query = "%3A%21=-%26%5C~%26%60",
	 .body = "{}",
	 .headers = "X-Sdk-Date:20240229T235959Z\012Host:api.example.com\012XZb:;,c;=\303\266a\012Content"
		"-Type:multipart/form-data\012X-Sdk-Content-Sha256:UNSIGNED-PAYLOAD",
	 .authorization = "SDK-HMAC-SHA256 Access=GG19HF629739FJ4, SignedHeaders=content-type;host;x-sdk-"
		"content-sha256;x-sdk-date;xzb, Signature=a6ecaacc8cba84bd050919c3540686a4116ce4d70081396ae7f19e"
		"9b56d82e17"},
};

#endif
