// SPDX-License-Identifier: Apache-2.0
// Prints messages and batches as Apache Kafka's own client library encodes them; see README.md.
// java -cp 'JARS' Vectors.java messages SEED ROUNDS   lines: KEY q|s VERSION HEX
// java -cp 'JARS' Vectors.java batches                lines: MAGIC CODEC HEX
// java -cp 'JARS' Vectors.java read                   reads batches in hex, one per line, from the standard input

import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Scanner;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.TimestampType;

public class Vectors {
    static Random random;

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "messages" -> messages(Long.parseLong(args[1]), Integer.parseInt(args[2]));
            case "batches" -> batches();
            default -> read();
        }
    }

    static void messages(long seed, int rounds) throws ReflectiveOperationException {
        random = new Random(seed);
        for (ApiMessageType api : ApiMessageType.values()) {
            if (api == ApiMessageType.FETCH_SNAPSHOT)
                continue; // between brokers; its random messages do not come out of the library
            for (int v = api.lowestSupportedVersion(); v <= api.highestSupportedVersion(true); v++) {
                for (int i = 0; i < rounds; i++) {
                    print(api, 'q', v, api.requestSchemas()[v], api.newRequest());
                    print(api, 's', v, api.responseSchemas()[v], api.newResponse());
                }
            }
        }
    }

    static void print(ApiMessageType api, char side, int version, Schema schema, ApiMessage message)
        throws ReflectiveOperationException {
        Struct struct = struct(schema);
        ByteBuffer first = ByteBuffer.allocate(schema.sizeOf(struct));
        schema.write(first, struct);
        first.flip();
        // The generated classes decide what a tagged field at its default becomes. Their schemas know nothing of structs
        // that can be null; messages that have one are filled in through the classes.
        try {
            message.read(new ByteBufferAccessor(first), (short) version);
        } catch (RuntimeException e) {
            message = (ApiMessage) fill(message.getClass());
        }
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer bytes = ByteBuffer.allocate(message.size(cache, (short) version));
        message.write(new ByteBufferAccessor(bytes), cache, (short) version);
        bytes.flip();
        System.out.println(api.apiKey() + " " + side + " " + version + " " + hex(bytes));
    }

    static Object fill(Class<?> type) throws ReflectiveOperationException {
        Object object = type.getDeclaredConstructor().newInstance();
        for (java.lang.reflect.Field f : type.getDeclaredFields()) {
            if (Modifier.isStatic(f.getModifiers()) || f.getName().startsWith("_"))
                continue;
            f.setAccessible(true);
            if (f.getType() == List.class) {
                Class<?> element = (Class<?>) ((ParameterizedType) f.getGenericType()).getActualTypeArguments()[0];
                List<Object> list = new ArrayList<>();
                for (int i = random.nextInt(3); i > 0; i--)
                    list.add(any(element));
                f.set(object, list);
            } else if (f.getType().isPrimitive() || random.nextInt(3) > 0) {
                f.set(object, any(f.getType()));
            }
        }
        return object;
    }

    static Object any(Class<?> type) throws ReflectiveOperationException {
        return switch (type.getSimpleName()) {
            case "boolean" -> primitive("BOOLEAN");
            case "byte", "Byte" -> primitive("INT8");
            case "short", "Short" -> primitive("INT16");
            case "int", "Integer" -> primitive("INT32");
            case "long", "Long" -> primitive("INT64");
            case "String" -> primitive("STRING");
            case "Uuid" -> primitive("UUID");
            default -> fill(type);
        };
    }

    static Struct struct(Schema schema) throws ReflectiveOperationException {
        Struct struct = new Struct(schema);
        for (BoundField f : schema.fields())
            struct.set(f, value(f.def.type));
        return struct;
    }

    /** Private in some versions of the library. */
    @SuppressWarnings("unchecked")
    static Map<Integer, Field> fields(TaggedFields tagged) throws ReflectiveOperationException {
        java.lang.reflect.Field f = TaggedFields.class.getDeclaredField("fields");
        f.setAccessible(true);
        return (Map<Integer, Field>) f.get(tagged);
    }

    static Object value(Type type) throws ReflectiveOperationException {
        if (type.isNullable() && random.nextInt(4) == 0)
            return null;
        if (type instanceof Schema schema)
            return struct(schema);
        if (type instanceof TaggedFields tagged) {
            TreeMap<Integer, Object> values = new TreeMap<>();
            for (Map.Entry<Integer, Field> e : fields(tagged).entrySet())
                if (random.nextBoolean())
                    values.put(e.getKey(), value(e.getValue().type));
            return values;
        }
        if (type.isArray()) {
            Type element = type.arrayElementType().get();
            Object[] values = new Object[random.nextInt(3)];
            for (int i = 0; i < values.length; i++)
                values[i] = value(element);
            return values;
        }
        return primitive(type.toString());
    }

    static Object primitive(String type) {
        byte[] bytes = new byte[random.nextInt(6)];
        random.nextBytes(bytes);
        if (type.endsWith("STRING"))
            return "text of this size".substring(0, random.nextInt(5));
        if (type.endsWith("BYTES"))
            return ByteBuffer.wrap(bytes);
        return switch (type) {
            case "BOOLEAN" -> random.nextBoolean();
            case "INT8" -> (byte) random.nextInt();
            case "INT16" -> (short) random.nextInt();
            case "UINT16" -> random.nextInt(65536);
            case "INT32" -> random.nextInt();
            case "UINT32" -> random.nextLong() & 0xffffffffL;
            case "INT64" -> random.nextLong();
            case "FLOAT64" -> random.nextDouble();
            case "UUID" -> new Uuid(random.nextLong(), random.nextLong());
            case "RECORDS", "COMPACT_RECORDS" -> MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
            default -> throw new IllegalArgumentException(type);
        };
    }

    static final Header[] HEADERS = {new RecordHeader("h1", "v1".getBytes()), new RecordHeader("h2", (byte[]) null)};

    /** Ten records: keys "key-I" (null when I is 0 or 5), values of 20 I times 'v' (null when I is 7). */
    static void batches() {
        for (byte magic = 0; magic <= 2; magic++) {
            for (CompressionType type : CompressionType.values()) {
                if (type == CompressionType.ZSTD && magic < 2)
                    continue;
                ByteBuffer buffer = ByteBuffer.allocate(16384);
                MemoryRecordsBuilder b = MemoryRecords.builder(buffer, magic, Compression.of(type).build(),
                    TimestampType.CREATE_TIME, 1000L);
                for (int i = 0; i < 10; i++) {
                    byte[] key = i % 5 == 0 ? null : ("key-" + i).getBytes();
                    byte[] value = i == 7 ? null : "v".repeat(20 * i).getBytes();
                    b.append(magic == 0 ? -1 : 1700000000000L + 3 * i, key, value,
                        magic == 2 && i == 3 ? HEADERS : new Header[0]);
                }
                System.out.println(magic + " " + type.id + " " + hex(b.build().buffer()));
            }
        }
    }

    static void read() {
        Scanner in = new Scanner(System.in);
        while (in.hasNextLine()) {
            byte[] bytes = HexFormat.of().parseHex(in.nextLine());
            for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
                batch.ensureValid();
                long n = 0, sum = 0;
                for (Record r : batch) {
                    n++;
                    sum += r.offset() + r.timestamp() + r.keySize() + r.valueSize() + r.headers().length;
                }
                System.out.println(batch.magic() + " " + batch.compressionType().id + " " + n + " " + sum);
            }
        }
    }

    static String hex(ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return HexFormat.of().formatHex(copy);
    }
}
